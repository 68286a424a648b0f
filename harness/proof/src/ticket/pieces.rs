//! From a text to the documents in it: people paste several into one file, between code fences, behind a shell's prompt,
//! with `kubectl`'s own words before them, and cut in the midst.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Deserializer, Value};

/// A document, or a stretch of text between documents.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// The line of the file that it begins on, from 1.
    pub line: usize,
    /// The command that was typed before it, if one is in the text.
    pub command: Option<String>,
    /// Of whom the command said it is: `spire-server bundle list` puts the trust domain between stars.
    pub heading: Option<String>,
    /// What it is.
    pub body: Body,
}

/// The forms that documents come in.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// A value.
    Json(Value),
    /// One YAML document, not read yet.
    Yaml(String),
    /// Anything else.
    Text(String),
    /// What began as JSON and does not go on as such: why.
    Broken(String),
}

/// A command, behind a prompt or none. What stands before the program may be a user, a host and a folder.
static TYPED: LazyLock<Regex> = LazyLock::new(|| {
    rule(
        r"^\s*(?:[^{}\x22]{0,80}?[$#%❯➜>]+(?:\s+\S{1,40})?\s+|\S{1,80} -- )?((?:[./\w-]*/)?(?:kubectl|oc|istioctl|spire-server|spire-agent|openssl|curl)\s+[a-z-].*)$",
    )
});
/// What begins a YAML document that somebody gathered.
static YAML: LazyLock<Regex> = LazyLock::new(|| {
    rule(r"^(?:apiVersion|kind|items|configs|dynamicActiveSecrets|dynamic_active_secrets):(?:\s|$)")
});
/// The first line of JSON, and not of a log line that begins with a date in brackets.
static JSON: LazyLock<Regex> = LazyLock::new(|| rule(r#"^\s*(?:\{\s*(?:["}]|$)|\[\s*(?:[{\[\]"]|$))"#));
/// A member without the braces around it, as it is cut out of a dump.
static MEMBER: LazyLock<Regex> = LazyLock::new(|| rule(r#"^\s*"[^"\\]{1,60}"\s*:\s*[\[{]"#));
/// A log line of `kubectl logs --prefix` or `--timestamps`.
static PREFIX: LazyLock<Regex> = LazyLock::new(|| {
    rule(r#"^(?:\[pod/[^\]]{1,200}\]\s+)?(?:\d{4}-\d\d-\d\dT\S{5,40}\s+)?(?:\S{1,80}\s+)?(\{".*\})\s*$"#)
});
static HEADING: LazyLock<Regex> = LazyLock::new(|| rule(r"^\* (?:spiffe://)?([a-z0-9._-]{1,255})$"));

/// All of them, in order.
pub fn pieces(text: &str) -> Vec<Piece> {
    let mut found = Vec::new();
    for block in blocks(text) {
        block.cut(&mut found);
    }
    found
}

/// Lines that one command printed, or that stand between two fences.
struct Block<'a> {
    line: usize,
    command: Option<String>,
    lines: Vec<&'a str>,
}

fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut all = vec![Block { line: 1, command: None, lines: Vec::new() }];
    let mut wrapped = false;
    for (i, line) in text.lines().enumerate() {
        // A mail's or an answer's quotation marks.
        let line = line.strip_prefix("> ").unwrap_or(line);
        let begin = |command: Option<String>, line: usize| Block { line, command, lines: Vec::new() };
        if wrapped {
            wrapped = line.trim_end().ends_with('\\');
            if let Some(Block { command: Some(command), line: at, .. }) = all.last_mut() {
                command.push(' ');
                command.push_str(line.trim().trim_end_matches('\\'));
                *at = i + 2;
            }
        } else if line.trim_start().starts_with("```") || line.trim_start().starts_with("~~~") {
            // What stands in a fence was often printed by the command in the fence before it.
            let command =
                all.last().filter(|last| last.lines.is_empty()).and_then(|last| last.command.clone());
            all.push(begin(command, i + 2));
        } else if let Some(typed) = TYPED.captures(line).and_then(|found| found.get(1)) {
            wrapped = line.trim_end().ends_with('\\');
            all.push(begin(Some(typed.as_str().trim_end_matches('\\').to_owned()), i + 2));
        } else if let Some(last) = all.last_mut() {
            last.lines.push(line);
        }
    }
    all.retain(|block| block.lines.iter().any(|line| !line.trim().is_empty()));
    all
}

impl Block<'_> {
    fn cut(&self, found: &mut Vec<Piece>) {
        let (mut at, mut plain, mut from, mut broken) = (0, String::new(), 0, false);
        let whole = Whole::of(&self.lines);
        let mut heading = None;
        let piece = |at: usize, heading: Option<String>, body: Body| Piece {
            line: self.line + at,
            command: self.command.clone(),
            heading,
            body,
        };
        while at < self.lines.len() {
            let line = self.lines[at];
            if let Some(name) = HEADING.captures(line).and_then(|found| found.get(1)) {
                heading = Some(name.as_str().to_owned());
            }
            let indented = line.starts_with([' ', '\t']);
            let value = match () {
                () if YAML.is_match(line) => {
                    flush(&mut plain, from, found, &piece);
                    let documents = self.yaml(at);
                    found.extend(documents.into_iter().map(|(at, text)| piece(at, None, Body::Yaml(text))));
                    return;
                }
                () if broken && indented => None,
                () if JSON.is_match(line) => Some(whole.json(at, self.line)),
                () if plain.trim().is_empty() && MEMBER.is_match(line) => Some(whole.member(at)),
                () => PREFIX.captures(line).and_then(|found| found.get(1)).map(|json| {
                    serde_json::from_str(json.as_str())
                        .map(|value| (value, at + 1))
                        .map_err(|e| e.to_string())
                }),
            };
            match value {
                Some(Ok((value, next))) => {
                    flush(&mut plain, from, found, &piece);
                    found.push(piece(at, heading.take(), Body::Json(value)));
                    (at, from, broken) = (next, next, false);
                    continue;
                }
                Some(Err(why)) => {
                    found.push(piece(at, None, Body::Broken(why)));
                    broken = true;
                }
                None => {}
            }
            plain.push_str(line);
            plain.push('\n');
            at += 1;
        }
        flush(&mut plain, from, found, &piece);
    }

    /// The YAML documents from that line on.
    fn yaml(&self, at: usize) -> Vec<(usize, String)> {
        let (mut all, mut from, mut text) = (Vec::new(), at, String::new());
        for (i, line) in self.lines.iter().enumerate().skip(at) {
            if line.trim_end() == "---" {
                all.push((from, std::mem::take(&mut text)));
                from = i + 1;
            } else {
                text.push_str(line);
                text.push('\n');
            }
        }
        all.push((from, text));
        all.retain(|(_, text)| !text.trim().is_empty());
        all
    }
}

/// The lines of a block once more, as one text: a value goes over many of them, and a log has many values.
struct Whole {
    text: String,
    /// Where each line begins.
    starts: Vec<usize>,
}

impl Whole {
    fn of(lines: &[&str]) -> Self {
        let mut starts = Vec::with_capacity(lines.len());
        let mut text = String::new();
        for line in lines {
            starts.push(text.len());
            text.push_str(line);
            text.push('\n');
        }
        Self { text, starts }
    }

    /// The value that begins on that line, and the line after its last; `first` is the block's first line in the file.
    fn json(&self, at: usize, first: usize) -> Result<(Value, usize), String> {
        let start = self.starts[at];
        let mut values = Deserializer::from_str(&self.text[start..]).into_iter::<Value>();
        match values.next() {
            Some(Ok(value)) => {
                let end = start + values.byte_offset();
                Ok((value, self.starts.partition_point(|line| *line < end)))
            }
            Some(Err(e)) if e.is_eof() => Err("JSON that is cut off before its end".to_owned()),
            Some(Err(e)) => {
                let line = first + at + e.line() - 1;
                Err(format!(
                    "JSON that cannot be read from line {line} on: something was cut out or put in there"
                ))
            }
            None => Err("no JSON".to_owned()),
        }
    }

    /// The same of members without the braces around them, up to the block's end.
    fn member(&self, at: usize) -> Result<(Value, usize), String> {
        let members = self.text[self.starts[at]..].trim_end().trim_end_matches(',');
        match serde_json::from_str(&format!("{{{members}}}")) {
            Ok(value) => Ok((value, self.starts.len())),
            Err(e) => Err(format!("a part of JSON that cannot be read by itself ({e})")),
        }
    }
}

fn flush(
    plain: &mut String,
    from: usize,
    found: &mut Vec<Piece>,
    piece: &impl Fn(usize, Option<String>, Body) -> Piece,
) {
    let text = std::mem::take(plain);
    if !text.trim().is_empty() {
        found.push(piece(from, None, Body::Text(text)));
    }
}

/// A rule that is written in this module, so it can be read.
#[expect(clippy::unwrap_used, reason = "a literal of ours; the tests use every one")]
fn rule(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn bodies(text: &str) -> Vec<(usize, Body)> {
        pieces(text).into_iter().map(|piece| (piece.line, piece.body)).collect()
    }

    fn text(text: &str) -> Body {
        Body::Text(text.to_owned())
    }

    #[test]
    fn a_ticket_in_markdown_comes_apart() {
        let ticket = "Hello,\n```json\n{\n  \"a\": 1\n},\n```\nthen:\n~~~\n$ kubectl --context east \\\n    logs curl\nDefaulted container \"x\"\n{\"b\":2}\n{\"c\":3}\n~~~\n";
        let found = pieces(ticket);
        let bodies: Vec<_> = found.iter().map(|piece| (piece.line, piece.body.clone())).collect();
        assert_eq!(
            bodies,
            [
                (1, text("Hello,\n")),
                (3, Body::Json(json!({"a": 1}))),
                (7, text("then:\n")),
                (11, text("Defaulted container \"x\"\n")),
                (12, Body::Json(json!({"b": 2}))),
                (13, Body::Json(json!({"c": 3}))),
            ]
        );
        assert_eq!(found[4].command.as_deref(), Some("kubectl --context east  logs curl"));
        assert_eq!(found[1].command, None);
    }

    #[test]
    fn prompts_of_several_shells_are_known_and_prose_is_none() {
        for prompt in ["", "$ ", "# ", "me@host:~/x$ ", "[root@w istio]# ", "PS C:\\x> ", "➜  ~ ", "  $ "] {
            let found = pieces(&format!("{prompt}istioctl pc secret curl.x -o json\n{{}}\n"));
            let command = found.last().unwrap().command.as_deref();
            assert_eq!(command, Some("istioctl pc secret curl.x -o json"), "{prompt:?}");
        }
        assert_eq!(pieces("we run kubectl often\n{}\n").last().unwrap().command, None);
    }

    #[test]
    fn what_is_cut_out_of_a_dump_is_read_and_what_is_cut_off_is_named() {
        let member = "   \"dynamic_active_secrets\": [\n {}\n],\n";
        assert_eq!(bodies(member), [(1, Body::Json(json!({"dynamic_active_secrets": [{}]})))]);
        let cut = bodies("{\n  \"a\": [\n    {\n");
        assert_eq!(cut[0], (1, Body::Broken("JSON that is cut off before its end".to_owned())));
        let elided = bodies("{\n  \"a\": 1,\n  ...\n}\n{\"b\": 2}\n");
        assert!(matches!(&elided[0].1, Body::Broken(why) if why.contains("from line 3 on")), "{elided:?}");
        assert_eq!(elided.last().unwrap(), &(5, Body::Json(json!({"b": 2}))), "what follows is read");
    }

    #[test]
    fn log_lines_are_no_json_and_those_in_json_are() {
        let log = "[2024-05-01T10:00:00.000Z] \"GET / HTTP/1.1\" 200\n[pod/curl-1/istio-proxy] {\"request_id\":\"x\"}\n";
        let found = bodies(log);
        assert_eq!(found[0], (1, text("[2024-05-01T10:00:00.000Z] \"GET / HTTP/1.1\" 200\n")));
        assert_eq!(found[1], (2, Body::Json(json!({"request_id": "x"}))));
    }

    #[test]
    fn yaml_documents_and_headings_are_kept_apart() {
        let found = pieces("noise\napiVersion: v1\nkind: A\n---\napiVersion: v1\nkind: B\n");
        assert_eq!(found[1].body, Body::Yaml("apiVersion: v1\nkind: A\n".into()));
        assert_eq!((found[2].line, &found[2].body), (5, &Body::Yaml("apiVersion: v1\nkind: B\n".into())));
        let listed =
            pieces("****\n* east.local\n****\n{\"keys\": []}\n\n****\n* west.local\n****\n{\"keys\": []}\n");
        let headings: Vec<_> = listed.iter().filter_map(|piece| piece.heading.as_deref()).collect();
        assert_eq!(headings, ["east.local", "west.local"]);
    }

    /// Nobody's paste may take the program down or keep it for long.
    #[test]
    fn hostile_texts_end() {
        for text in [
            "{\n".repeat(5000),
            "[\n".repeat(5000),
            "{\"a\":".repeat(5000),
            "```\n".repeat(5000),
            "$ ".repeat(5000),
        ] {
            pieces(&text);
        }
    }
}
