//! Text that has to fit.

/// The text in lines of at most so many characters; of more than `most` lines, the first ones and that there was more.
pub fn wrapped(text: &str, room: usize, most: usize) -> Vec<String> {
    let room = room.max(8);
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let mut word: Vec<char> = word.chars().collect();
        let last = |lines: &[String]| lines.last().map_or(0, |line| line.chars().count());
        // A SPIFFE ID is longer than a line, and is best broken before a slash.
        while last(&lines) + usize::from(last(&lines) > 0) + word.len() > room {
            if last(&lines) > 0 && word.len() <= room {
                lines.push(String::new());
                continue;
            }
            let left = room.saturating_sub(last(&lines) + usize::from(last(&lines) > 0));
            let slash = word.iter().take(left.max(1)).rposition(|c| *c == '/').filter(|at| *at > 10);
            let head: String = word.drain(..slash.unwrap_or(left)).collect();
            push(&mut lines, &head);
            lines.push(String::new());
        }
        push(&mut lines, &word.into_iter().collect::<String>());
    }
    lines.retain(|line| !line.is_empty());
    if lines.len() > most {
        lines.truncate(most);
        if let Some(last) = lines.last_mut() {
            *last = shortened(&format!("{last} …"), room);
        }
    }
    lines
}

/// At most so many characters, and that there were more.
pub fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.trim_end_matches(['…', ' ']).chars().take(most.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

fn push(lines: &mut [String], word: &str) {
    if let Some(line) = lines.last_mut() {
        if !line.is_empty() && !word.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_but_what_is_said_to_be() {
        assert_eq!(wrapped("one two three", 8, 3), ["one two", "three"]);
        let id = "spiffe://cluster1.local/ns/istio-test/sa/helloworld";
        let lines = wrapped(id, 30, 3);
        assert_eq!((lines.len(), lines.concat()), (2, id.to_owned()));
        assert!(lines[1].starts_with('/'), "{lines:?}");
        assert_eq!(wrapped(&"x".repeat(25), 10, 2), ["xxxxxxxxxx", "xxxxxxxxx…"]);
        assert!(wrapped("", 10, 2).is_empty());
        assert_eq!(shortened("a long word", 6), "a lon…");
    }
}
