//! Pages: HTML files of their own, with charts, for light and dark screens, phones and paper.
//!
//! All that is put on a page is text and is escaped here, so names in a table can't become markup.

pub(crate) mod cells;
pub(crate) mod curves;

use std::fmt::Write as _;

use super::talk::printable;

const STYLE: &str = include_str!("page/style.css");
const SCRIPT: &str = include_str!("page/hover.js");

/// A drawing with its caption.
pub(crate) struct Picture(String);

/// A number that is told large.
pub(crate) struct Tile {
    pub name: String,
    pub value: String,
    /// What it is of, or compares with.
    pub note: String,
}

impl Tile {
    pub(crate) fn new(
        name: impl Into<String>,
        value: impl Into<String>,
        note: impl Into<String>,
    ) -> Self {
        Self { name: name.into(), value: value.into(), note: note.into() }
    }
}

/// A page under way.
pub(crate) struct Page {
    title: String,
    body: String,
}

impl Page {
    /// Begins with the title and what is told below it.
    pub(crate) fn new(title: &str, about: &str) -> Self {
        let (title, about) = (escaped(title), escaped(about));
        let body = format!("<header><h1>{title}</h1>\n<p>{about}</p></header>\n");
        Self { title, body }
    }

    pub(crate) fn warning(&mut self, text: &str) {
        self.add(format_args!("<p class=\"warning\">{}</p>\n", escaped(text)));
    }

    pub(crate) fn note(&mut self, text: &str) {
        self.add(format_args!("<p class=\"note\">{}</p>\n", escaped(text)));
    }

    pub(crate) fn section(&mut self, title: &str) {
        self.add(format_args!("<h2>{}</h2>\n", escaped(title)));
    }

    /// The first stands out.
    pub(crate) fn tiles(&mut self, tiles: &[Tile]) {
        self.add(format_args!("<dl class=\"tiles\">\n"));
        for (index, Tile { name, value, note }) in tiles.iter().enumerate() {
            let class = if index == 0 { " class=\"first\"" } else { "" };
            let [name, value, note] = [name, value, note].map(|text| escaped(text));
            self.add(format_args!(
                "<div{class}><dt>{name}</dt><dd>{value}<small>{note}</small></dd></div>\n"
            ));
        }
        self.add(format_args!("</dl>\n"));
    }

    /// Pictures side by side, as many a row as there is room for, and what is to be said of them.
    pub(crate) fn pictures(&mut self, pictures: &[Picture], note: &str) {
        self.add(format_args!("<div class=\"charts\">\n"));
        pictures.iter().for_each(|picture| self.body += &picture.0);
        if !note.is_empty() {
            self.note(note);
        }
        self.add(format_args!("</div>\n"));
    }

    /// A table whose first `left` columns hold words, the others numbers; the head may be left out. Rows
    /// may have a colour of the charts.
    pub(crate) fn table(
        &mut self,
        left: usize,
        head: &[&str],
        rows: &[(Option<usize>, Vec<String>)],
    ) {
        let class = |index: usize| if index < left { " class=\"left\"" } else { "" };
        self.add(format_args!("<div class=\"scroll\"><table>\n"));
        if !head.is_empty() {
            self.add(format_args!("<tr>"));
            for (index, name) in head.iter().enumerate() {
                self.add(format_args!("<th scope=\"col\"{}>{}</th>", class(index), escaped(name)));
            }
            self.add(format_args!("</tr>\n"));
        }
        for (color, cells) in rows {
            self.add(format_args!("<tr>"));
            for (index, cell) in cells.iter().enumerate() {
                let mark = match color {
                    Some(color) if index == 0 => {
                        format!("<span class=\"c {}\"></span>", hue(*color))
                    }
                    _ => String::new(),
                };
                self.add(format_args!("<td{}>{mark}{}</td>", class(index), escaped(cell)));
            }
            self.add(format_args!("</tr>\n"));
        }
        self.add(format_args!("</table></div>\n"));
    }

    pub(crate) fn preformatted(&mut self, text: &str) {
        self.add(format_args!("<pre>{}</pre>\n", escaped(text)));
    }

    /// The whole file. Its policy is that nothing be fetched, whatever it may hold.
    pub(crate) fn html(self) -> String {
        let Self { title, body } = self;
        let version = env!("CARGO_PKG_VERSION");
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
             style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <link rel=\"icon\" href=\"data:,\">\n<title>{title} · wgrad</title>\n\
             <style>\n{STYLE}</style>\n</head>\n<body>\n{body}\
             <footer>wgrad {version}</footer>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n"
        )
    }

    fn add(&mut self, html: std::fmt::Arguments<'_>) {
        // Writing to a String doesn't fail.
        let _ = self.body.write_fmt(html);
    }
}

/// A figure around a drawing of this size in the drawing's own units.
fn picture(
    attributes: &str,
    head: &str,
    size: [f64; 2],
    says: [&str; 2],
    drawing: &str,
) -> Picture {
    let ([width, height], [title, description]) = (size, says.map(escaped));
    Picture(format!(
        "<figure{attributes}><figcaption>{title}</figcaption>\n{head}\
         <svg viewBox=\"0 0 {width} {height}\" role=\"img\"><title>{title}</title>\
         <desc>{description}</desc>\n{drawing}</svg></figure>\n"
    ))
}

/// Text inside of an SVG; `class` places it.
fn label(class: &str, x: f64, y: f64, text: &str) -> String {
    format!("<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>\n", escaped(text))
}

/// The class of a colour of the palette, which starts again behind its end.
fn hue(color: usize) -> &'static str {
    const HUES: [&str; 8] = ["c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7"];
    HUES[color % HUES.len()]
}

/// At most so many characters of a text, from its begin and its end: names often differ in one of these.
fn cut(text: &str, most: usize) -> String {
    let count = text.chars().count();
    if count <= most {
        return text.to_owned();
    }
    let end = most / 2;
    let begin = text.chars().take(most - 1 - end);
    begin.chain(['…']).chain(text.chars().skip(count - end)).collect()
}

/// A text as HTML shows it, also between quotes.
pub(crate) fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in printable(text).chars() {
        match c {
            '&' => html += "&amp;",
            '<' => html += "&lt;",
            '>' => html += "&gt;",
            '"' => html += "&quot;",
            '\'' => html += "&#39;",
            _ => html.push(c),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a hostile table would like to put on the page.
    pub(super) const HOSTILE: &str = "</title><script>alert('\"&\u{0}')</script>";

    #[test]
    fn no_text_becomes_markup() {
        let mut page = Page::new(HOSTILE, HOSTILE);
        page.warning(HOSTILE);
        page.note(HOSTILE);
        page.section(HOSTILE);
        page.tiles(&[Tile::new(HOSTILE, HOSTILE, HOSTILE)]);
        page.table(1, &[HOSTILE], &[(Some(9), vec![HOSTILE.into()])]);
        page.preformatted(HOSTILE);
        let drawing = label("", 0.0, 0.0, HOSTILE);
        page.pictures(&[picture("", "", [1.0, 1.0], [HOSTILE; 2], &drawing)], HOSTILE);
        let html = page.html();
        assert_eq!(html.matches("<script>").count(), 1, "only our own");
        assert_eq!(html.matches("</title>").count(), 2, "of the page and of the picture");
        assert_eq!(html.matches("&lt;script&gt;alert(&#39;&quot;&amp;\\u{0}&#39;)").count(), 17);
    }

    #[test]
    fn long_texts_are_cut() {
        assert_eq!([cut("größe", 5), cut("größe", 4), cut("", 1)], ["größe", "g…ße", ""]);
        assert_eq!(cut("category number 14", 14), "catego…mber 14");
    }
}
