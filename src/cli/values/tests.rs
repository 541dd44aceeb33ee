use super::*;

#[test]
fn absurd_numbers_are_refused() {
    for text in ["nan", "inf", "-1", "1e999", "", "x"] {
        assert!(positive(text).is_err(), "{text}");
        assert!(not_negative(text).is_err(), "{text}");
        assert!(probability(text).is_err(), "{text}");
        assert!(rows_fraction(text).is_err(), "{text}");
    }
    assert!(positive("0").is_err() && not_negative("0").is_ok());
    assert!(rows_fraction("1").is_err() && probability("1").is_ok());
    for text in ["0", "-1", "1.5", "", "99999999999999999999999"] {
        assert!(at_least_one::<usize>(text).is_err(), "{text}");
    }
}

#[test]
fn widths_are_a_list_or_none() {
    assert_eq!("64, 32".parse(), Ok(Widths(vec![64, 32])));
    assert_eq!("none".parse(), Ok(Widths(vec![])));
    assert_eq!(Widths(vec![64, 32]).to_string(), "64,32");
    assert_eq!(Widths(vec![]).to_string(), "none");
    for text in ["", "64,", "0", "64,-1", "None", "64 32", "65537"] {
        assert!(text.parse::<Widths>().is_err(), "{text}");
    }
}

#[test]
fn columns_are_divided_by_commas_outside_quotes() {
    let columns = |names: &[&str]| Columns(names.iter().map(|&name| name.into()).collect());
    assert_eq!("a,b".parse(), Ok(columns(&["a", "b"])));
    for names in [&["a, b", "c"][..], &["say \"x\""], &["-1"], &["ä\nb", " "]] {
        assert_eq!(columns(names).to_string().parse(), Ok(columns(names)));
    }
    for text in ["", ",", "a,", "\"\""] {
        assert!(text.parse::<Columns>().is_err(), "{text:?}");
    }
}

#[test]
fn columns_are_given_kinds() {
    let rule = |text: &str| text.parse::<ColumnRule>();
    for (text, column, kind) in [
        ("zip=category", "zip", "category"),
        ("a=b=number", "a=b", "number"),
        ("-1=ordinal:low, mid,\"a,b\"", "-1", "ordinal:low, mid,\"a,b\""),
        ("x=ordinal:a=category,b", "x", "ordinal:a=category,b"),
    ] {
        let rule = rule(text).unwrap();
        assert_eq!((&*rule.column, &*rule.kind()), (column, kind));
    }
    for text in ["", "zip", "zip=", "=category", "zip=categori", "zip=ordinal:", "zip=ordinal"] {
        assert!(rule(text).is_err(), "{text}");
    }
}

#[test]
fn times_are_hours_minutes_and_seconds() {
    for (text, seconds, shown) in [
        ("30s", 30, "30s"),
        ("1h30m", 5400, "1h30m"),
        ("90m5s", 5405, "1h30m5s"),
        ("2h", 7200, "2h"),
    ] {
        let budget: TimeBudget = text.parse().unwrap();
        assert_eq!((budget.0.as_secs(), &*budget.to_string()), (seconds, shown));
    }
    for text in ["", "5", "0s", "m", "-5s", "1.5h", "5s3m", "5 m", "99999999999999999h", "1h1h"] {
        assert!(text.parse::<TimeBudget>().is_err(), "{text}");
    }
}
