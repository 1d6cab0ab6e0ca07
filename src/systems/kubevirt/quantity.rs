//! Quantities of Kubernetes, such as `7500m` for seven and a half CPUs.

/// The whole part of a quantity of CPUs: 7 of `7500m`. None if it is not a quantity, or less than one.
///
/// The form is that of Kubernetes' `resource.Quantity`: a decimal number, and a suffix or an exponent.
pub(super) fn whole(text: &str) -> Option<u64> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let number: f64 = number.parse().ok()?;
    let factor = match suffix {
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "" => 1.0,
        "k" => 1e3,
        "M" => 1e6,
        "Ki" => 1024.0,
        "Mi" => 1024.0 * 1024.0,
        _ => {
            let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            10f64.powi(exponent)
        }
    };
    // Dividing is exact where multiplying by 0.001 is not.
    let value = match factor < 1.0 {
        true => number / (1.0 / factor).round(),
        false => number * factor,
    };
    // No machine has more, and none of these is a whole number.
    (1.0..1e9).contains(&value).then_some(value as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_are_rounded_down() {
        for (text, cpus) in [
            ("8", 8),
            ("7500m", 7),
            ("7999m", 7),
            ("8000m", 8),
            ("1000m", 1),
            ("7.5", 7),
            ("7000000u", 7),
            ("7000000000n", 7),
            ("1k", 1000),
            ("1Ki", 1024),
            ("1e1", 10),
            ("80E-1", 8),
            (".8e1", 8),
        ] {
            assert_eq!(whole(text), Some(cpus), "{text}");
        }
        for thousandths in 1000..20_000 {
            assert_eq!(whole(&format!("{thousandths}m")), Some(thousandths / 1000));
        }
    }

    #[test]
    fn what_is_no_number_of_cpus_is_none() {
        for text in [
            "",
            "m",
            "-8",
            "+8",
            "8 ",
            " 8",
            "8x",
            "eight",
            "1.2.3",
            "500m",
            "0",
            "1e400",
            "1e99999999999",
            "NaN",
            "inf",
            "99999999999999999999",
            "8e",
            "8em",
            "٣",
        ] {
            assert_eq!(whole(text), None, "{text}");
        }
    }
}
