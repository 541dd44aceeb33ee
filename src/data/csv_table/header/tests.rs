//! First lines and what is below them. The real tables are rebuilt small: names and the first rows as published,
//! then rows of the same kind.

use super::super::tests::{header, names, read, read_with, row};
use crate::data::CsvOptions;

/// What stands below a first line.
struct Case {
    first: &'static str,
    below: &'static str,
    is_header: bool,
}

const fn names_them(first: &'static str, below: &'static str) -> Case {
    Case { first, below, is_header: true }
}

const fn is_a_row(first: &'static str, below: &'static str) -> Case {
    Case { first, below, is_header: false }
}

/// Tables that are made up, the tricky ones.
#[rustfmt::skip]
const MADE_UP: [Case; 44] = [
    // Numbers follow.
    names_them("x,y", "1,2"),
    names_them("x,kind", "1,a|2,x"),
    names_them(",x", "0,1|1,2"),
    names_them("a", "1|2|3"),
    // No word of the first line comes again.
    names_them("shape,color", "round,red|flat,red"),
    names_them("name,answer", "Ann,yes|Bob,no|Cid,yes|Dan,yes"),
    // One comes again, the others don't.
    names_them("climate,ID", "dry,AO|dry,BJ|wet,ID|wet,CG|dry,EG|dry,NE|wet,MY|wet,PG|dry,DZ"),
    names_them("type,no,answer", "a,yes,no|b,no,yes|a,yes,yes|b,no,no|a,no,yes|b,yes,no"),
    // Names that are missing cells or infinities elsewhere.
    names_them("K,Na,glass", "1.64,12.03,float|1.47,12.26,bulb|1.58,13.1,float|1.6,12.9,bulb"),
    names_them("year,inf,unem", "1960,1.1,8.9|1961,4.4,4.4|1962,2.0,5.1|1963,3.1,6.2"),
    names_them("nan,width,kind", "1.5,2.5,a|2.5,3.5,b|1.7,2.9,a|2.2,3.1,b"),
    names_them("value,NULL", "1.5,2|2.5,3|3.5,1|4.5,2"),
    names_them("None,NA,width", "1.5,2.5,3.5|2.5,3.5,1.5|3.5,1.5,2.5|1.5,1.5,1.5|2.5,2.5,2.5|3.1,1.2,1.3"),
    // Numbers in order, as dataframes write where columns have no names.
    names_them("0,1,2,3", "0.5,1.5,2.5,3.5|0.1,0.2,0.3,0.4|1.5,0.5,3.5,2.5"),
    names_them("0,1,2,3,4", "7,1,3,5,2|2,9,4,4,1|8,8,1,0,3|5,5,2,1,1"),
    names_them("0,1,kind", "0.21,2.86,a|2.88,0.61,b|0.4,2.5,a|2.7,0.4,b|0.3,2.9,a|2.6,0.7,b"),
    names_them("1,2,3", "0.21,2.86,0.4|2.88,0.61,1.3|0.42,2.55,0.9|2.71,0.48,1.1|0.3,0.2,0.1"),
    names_them(",0,1,2", "a,0.5,1.5,2.5|b,0.1,0.2,0.3|c,1.5,0.5,3.5"),
    // Years in order.
    names_them("region,2019,2020,2021", "north,3.472,3.461,3.401|south,3.767,3.715,3.725|east,2.1,2.2,2.3"),
    names_them("town,1990,2000,2010,2020", "Ulm,112000,116000,122000,126000|Jena,102000,99000,105000,110000"),
    names_them("country,2019,2020", "a,345678,351234|b,12345,13456|c,98765,91234|d,4567,5678|e,66666,55555"),
    names_them("id,age,2020", "a,31,5.5|b,45,6.5|c,27,1.5|d,61,2.5"),
    // The first cells are quoted, or have spaces.
    names_them("\"first name\", \"birth year\"", "Ann,1961|Bob,1975|Cid,1988"),
    // A number can't be a name.
    is_a_row("1,2", "3,4"),
    is_a_row("1,2", ""),
    is_a_row("5.5", "6.5|7.5"),
    is_a_row("60.25,dark,low,left", "12.5,red,high,up|13.5,red,high,up|14.75,blue,high,up|12.25,red,high,up|18.5,red,high,up"),
    is_a_row("0,1", "1,0.9|2,0.8|3,0.7|4,0.6|5,0.5|6,0.4|7,0.3|8,0.2|9,0.1"),
    is_a_row("0,0,1", "0.1,0.1,0.99|0.2,0.15,0.95|0.3,0.22,0.9|0.4,0.3,0.8"),
    is_a_row("0,1,2", "1,2,3|2,3,4|3,4,5|4,5,6|5,6,7"),
    is_a_row("1,0,1", "0,1,1|1,1,0|0,0,0|1,0,0"),
    is_a_row("2,4,8,16", "3,9,27,81|4,16,64,256|5,25,125,625"),
    is_a_row("2019,2020", "2018,2019|2017,2019|2015,2016|2020,2021"),
    is_a_row("2019,2020,2021", "2018,2019,2020|2015,2016,2017|2012,2013,2014|2000,2001,2002"),
    is_a_row("Ann,2019,3.5", "Bob,2020,4.5|Cid,2018,1.5|Dan,2021,2.5"),
    // A word that comes again, a missing cell, an infinity.
    is_a_row("round,red", "round,blue|flat,green"),
    is_a_row("yes,no,yes", "no,no,yes|yes,yes,no|no,yes,no"),
    is_a_row("?,a", "1,b"),
    is_a_row("+,S10,tactagcaat", "+,AMPC,tgctatcctg|+,AROH,gtactagaga|-,867,atatgaacgt|-,1169,cgaactgcaa"),
    is_a_row("NA,1.5", "2.5,NA|NA,3.5|1.5,2.5"),
    is_a_row("a,?,3", "b,7,4|a,?,5|b,6,2"),
    is_a_row("inf,1.5", "2.5,inf|3.5,1.5|inf,0.5"),
    // Numbers as people write them.
    is_a_row("$1200;12 %", "$900;9 %|$1000;11 %"),
    names_them("price;share", "1.200,50;12 %|900,00;9 %|1.000,00;11 %"),
];

/// Tables that are public.
#[rustfmt::skip]
const PUBLIC: [Case; 32] = [
    // Of UCI, without names.
    is_a_row("5.1,3.5,1.4,0.2,Iris-setosa", "4.9,3.0,1.4,0.2,Iris-setosa|7.0,3.2,4.7,1.4,Iris-versicolor|6.3,3.3,6.0,2.5,Iris-virginica"),
    is_a_row("1,14.23,1.71,2.43,15.6,127", "1,13.2,1.78,2.14,11.2,100|2,12.37,.94,1.36,10.6,88|3,12.86,1.35,2.32,18,122"),
    is_a_row("39, State-gov, 77516, Bachelors, 13, <=50K", "50, Self-emp-not-inc, 83311, Bachelors, 13, <=50K|38, Private, 215646, HS-grad, 9, <=50K|31, Private, 45781, Masters, 14, >50K|52, Self-emp-not-inc, 209642, HS-grad, 9, >50K"),
    is_a_row("vhigh,vhigh,2,2,small,low,unacc", "vhigh,vhigh,2,2,small,med,unacc|vhigh,med,2,4,big,high,acc|low,low,4,more,big,high,vgood|med,low,2,4,small,high,good"),
    is_a_row("p,x,s,n,t,p,f,c,n,k,e", "e,x,s,y,t,a,f,c,b,k,e|e,b,s,w,t,l,f,c,b,n,e|p,x,y,w,t,p,f,c,n,n,e|e,x,s,g,f,n,f,w,b,k,t"),
    is_a_row("M,0.455,0.365,0.095,0.514,15", "M,0.35,0.265,0.09,0.2255,7|F,0.53,0.42,0.135,0.677,9|M,0.44,0.365,0.125,0.516,10|I,0.33,0.255,0.08,0.205,7"),
    is_a_row("1000025,5,1,1,1,2,1,3,1,1,2", "1002945,5,4,4,5,7,10,3,2,1,2|1015425,3,1,1,1,2,2,3,1,1,2|1017122,8,10,10,8,7,10,9,7,1,4"),
    is_a_row("b,30.83,0,u,g,w,v,1.25,t,t,01,f,g,00202,0,+", "a,58.67,4.46,u,g,q,h,3.04,t,t,06,f,g,00043,560,+|a,24.50,0.5,u,g,q,h,1.5,t,f,0,f,g,00280,824,+|b,?,1.54,u,g,w,v,3.75,t,t,05,t,g,00100,3,-"),
    is_a_row("aardvark,1,0,0,1,0,0,1,1,1,1,0,0,4,0,0,1,1", "antelope,1,0,0,1,0,0,0,1,1,1,0,0,4,1,0,1,1|bass,0,0,1,0,0,1,1,1,1,0,0,1,0,1,0,0,4|bear,1,0,0,1,0,0,1,1,1,1,0,0,4,0,0,1,1"),
    is_a_row("x,x,x,x,o,o,x,o,o,positive", "x,x,x,x,o,o,o,x,o,positive|x,x,x,x,o,o,o,o,x,positive|o,x,b,b,x,x,o,o,o,negative|x,o,x,o,x,b,b,b,x,positive"),
    is_a_row("B,1,1,1,1", "R,1,1,1,2|R,1,1,1,3|L,5,1,2,2|B,2,1,1,2|L,4,5,5,1"),
    is_a_row("T,2,8,3,5,1,8,13,0,6,6,10,8,0,8,0,8", "I,5,12,3,7,2,10,5,5,4,13,3,9,2,8,4,10|D,4,11,6,8,6,10,6,2,6,10,3,7,3,7,3,9|N,7,11,6,6,3,5,9,4,6,4,4,10,6,10,2,8"),
    is_a_row("6,148,72,35,0,33.6,0.627,50,1", "1,85,66,29,0,26.6,0.351,31,0|8,183,64,0,0,23.3,0.672,32,1|1,89,66,23,94,28.1,0.167,21,0"),
    is_a_row("Afghanistan,5,1,648,16,10,2,0,3,5,1,green", "Albania,3,1,29,3,6,6,0,0,3,1,red|Algeria,4,1,2388,20,8,2,2,0,3,1,green|Angola,4,2,1247,7,10,5,0,2,3,1,red"),
    is_a_row("usual,proper,complete,1,convenient,convenient,nonprob,recommended,recommend", "usual,proper,complete,1,convenient,convenient,nonprob,priority,priority|great_pret,improper,foster,more,critical,inconv,problematic,not_recom,not_recom|usual,proper,complete,1,critical,inconv,nonprob,priority,priority"),
    is_a_row("30,64,1,1", "30,62,3,1|31,65,4,1|34,59,0,2|38,69,21,2"),
    // With names.
    names_them("PassengerId,Survived,Pclass,Name,Sex,Age", "1,0,3,\"Braund, Mr. Owen Harris\",male,22|2,1,1,\"Cumings, Mrs. John Bradley\",female,38|6,0,3,\"Moran, Mr. James\",male,"),
    names_them("total_bill,tip,sex,smoker,day,time,size", "16.99,1.01,Female,No,Sun,Dinner,2|10.34,1.66,Male,No,Sun,Dinner,3|21.01,3.5,Male,No,Sun,Dinner,3"),
    names_them("species,island,bill_length_mm,sex", "Adelie,Torgersen,39.1,male|Adelie,Torgersen,39.5,female|Adelie,Torgersen,NA,NA|Gentoo,Biscoe,46.1,female"),
    names_them("Ozone,Solar.R,Wind,Temp,Month,Day", "41,190,7.4,67,5,1|36,118,8,72,5,2|NA,NA,14.3,56,5,5|28,NA,14.9,66,5,6"),
    names_them("\"\",\"mpg\",\"cyl\",\"disp\"", "\"Mazda RX4\",21,6,160|\"Datsun 710\",22.8,4,108|\"Valiant\",18.1,6,225"),
    names_them("\"\",\"Sepal.Length\",\"Species\"", "\"1\",5.1,\"setosa\"|\"2\",4.9,\"setosa\"|\"3\",7,\"versicolor\"|\"4\",6.3,\"virginica\""),
    names_them("fixed acidity;volatile acidity;quality", "7.4;0.7;5|7.8;0.88;5|11.2;0.28;6"),
    names_them("Country Name,Country Code,1960,1961,1962", "Aruba,ABW,54208,55434,56234|Angola,AGO,5357195,5441333,5521400|Albania,ALB,1608800,1659800,1711319"),
    names_them("carat,cut,color,clarity,price", "0.23,Ideal,E,SI2,326|0.21,Premium,E,SI1,326|0.29,Premium,I,VS2,334"),
    names_them("RI,Na,Mg,Al,Si,K,Ca,Ba,Fe,Type", "1.52101,13.64,4.49,1.1,71.78,0.06,8.75,0,0,1|1.51761,13.89,3.6,1.36,72.73,0.48,7.83,0,0,1|1.51618,13.53,3.55,1.54,72.99,0.39,7.78,0,0,2"),
    names_them("age,workclass,education,class", "25,Private,11th,<=50K|38,Private,HS-grad,<=50K|28,Local-gov,Assoc-acdm,>50K|44,Private,Some-college,>50K"),
    names_them("buying,maint,doors,persons,class", "vhigh,vhigh,2,2,unacc|vhigh,vhigh,2,4,unacc|low,low,5more,more,vgood|med,low,4,4,good"),
    names_them("class,cap-shape,cap-surface,odor", "p,x,s,p|e,x,s,a|e,b,s,l|p,x,y,p|e,x,s,n"),
    names_them("label,pixel0,pixel1,pixel2,pixel3", "1,0,0,0,0|0,0,0,0,0|4,0,0,12,255"),
    names_them("User ID,Gender,Age,EstimatedSalary,Purchased", "15624510,Male,19,19000,0|15810944,Male,35,20000,0|15668575,Female,26,43000,0"),
    names_them("date,price,bedrooms,zipcode", "20141013T000000,221900,3,98178|20141209T000000,538000,3,98125|20150225T000000,180000,2,98028"),
];

/// The text with lines for bars.
fn text(case: &Case) -> String {
    format!("{}\n{}\n", case.first, case.below.replace('|', "\n"))
}

#[test]
fn headers_are_told_from_rows() {
    assert!(MADE_UP.len() + PUBLIC.len() >= 60);
    for case in MADE_UP.iter().chain(&PUBLIC) {
        let text = text(case);
        let table = read(&text);
        assert_eq!(table.has_header(), case.is_header, "{text}");
        let rows =
            text.lines().filter(|line| !line.is_empty()).count() - usize::from(case.is_header);
        assert_eq!(table.rows(), rows, "{text}");
        if !case.is_header {
            assert!((1..).zip(names(&table)).all(|(number, name)| name == number.to_string()));
        }
        // Whichever it is, that is reported with the flag that changes it.
        let flag = if case.is_header { "--header no" } else { "--header yes" };
        assert!(table.assumptions().iter().any(|text| text.contains(flag)), "{text}");
    }
}

/// Ten times as many rows of the same kind change no verdict.
#[test]
fn verdicts_hold_for_longer_tables() {
    for case in PUBLIC.iter().chain(&MADE_UP[..2]) {
        let body: String = format!("{}|", case.below).repeat(10);
        let text = format!("{}\n{}", case.first, body.replace('|', "\n"));
        assert_eq!(read(&text).has_header(), case.is_header, "{text}");
    }
}

#[test]
fn known_names_make_a_header() {
    let with = |names: &[&str]| CsvOptions {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        ..CsvOptions::default()
    };
    let text = "red,round\nred,flat\nblue,round\nred,round\nblue,flat\nred,flat\n";
    for (known, rows) in [
        (&["red", "round"][..], 5),
        (&["red"], 5),
        (&["round", "1"], 5),
        (&["green"], 6),
        (&["red", "green"], 6),
        (&["1"], 6),
        (&[], 6),
    ] {
        assert_eq!(read_with(text, &with(known)).unwrap().rows(), rows, "{known:?}");
    }
    // Names that are numbers, but no numbers of columns.
    assert_eq!(read_with("0,1\n1,1\n0,0\n", &with(&["0", "1"])).unwrap().rows(), 2);
    assert_eq!(read_with("2,1\n1,1\n0,0\n", &with(&["2", "1"])).unwrap().rows(), 3);
    // What is said counts more.
    let options = CsvOptions { header: Some(false), ..with(&["red"]) };
    assert_eq!(read_with(text, &options).unwrap().rows(), 6);
}

#[test]
fn what_is_said_counts() {
    assert_eq!(names(&read(",x\n0,1\n")), ["1", "x"]);
    assert_eq!(names(&read(",0,1\na,1.5,2.5\nb,2.5,3.5\nc,3.5,4.5\n"))[0], "column 1");
    assert_eq!(names(&read_with("2023,2024\n1,2\n", &header(true)).unwrap()), ["2023", "2024"]);
    assert_eq!(row(&read_with("a,b\nc,d\n", &header(false)).unwrap(), 0), "a|b");
}

/// R's `write.table` names all columns but the first, which has the names of rows.
#[test]
fn names_of_rows_may_lack_one() {
    let table = read("mpg cyl\n\"Mazda RX4\" 21 6\nValiant 18.1 6\n");
    assert_eq!((names(&table), row(&table, 1)), (vec!["1", "mpg", "cyl"], "Valiant|18.1|6".into()));
    assert_eq!(names(&read("a\tb\n1\t5\t7\n2\t6\t8\n")), ["1", "a", "b"]);
    // A comma behind each row isn't that.
    let error = read_with("a,b\n1,2,\n3,4,\n", &CsvOptions::default()).unwrap_err().to_string();
    assert!(error.contains("line 2 has 3 fields, but line 1 has 2 fields"), "{error}");
}
