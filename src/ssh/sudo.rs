//! Runs things as another user, by `sudo`: the request, the answer to its prompt, and its words when it refuses.

use russh::ChannelWriteHalf;
use russh::client::Msg;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use super::explain;
use super::remote::{Delivery, token};
use super::{RunAs, SecretText};

/// Bytes of a user's name at most.
const LONGEST_NAME: usize = 64;

/// Characters of what sudo says that are passed on.
const MOST_WORDS: usize = 300;

/// What is answered to sudo: it may ask for the password, once, and it may not. Only the shell that it has started
/// may get the header, or a sudo that asks nothing would hand the password to that shell as its first line.
#[derive(Debug, Clone)]
pub(super) struct Dialogue {
    /// How it asks.
    prompt: String,
    /// What the shell says when it has begun.
    begun: String,
    password: SecretText,
}

/// What was heard of the remote side before the command's own output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// sudo asks for the password.
    Prompt,
    /// The shell that sudo was to start has begun.
    Begun,
    /// The header is done and waits for the word.
    Ready,
}

/// The exec request that runs what `shell` makes as another user. `shell` takes the shell text that goes first.
pub(super) fn request(run_as: &RunAs, shell: impl Fn(&str) -> String) -> Result<(String, Option<Dialogue>), String> {
    let user = &run_as.user;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '@' | '+' | '-');
    let starts = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if !user.starts_with(starts) || !user.chars().all(plain) || user.len() > LONGEST_NAME {
        let user = user.escape_debug();
        return Err(format!("\"{user}\" cannot be run as: letters, digits and _ . @ + - make a user's name here"));
    }
    let Some(password) = &run_as.password else {
        return Ok((format!("sudo -n -H -u {user} -- {}", shell("")), None));
    };
    if password.reveal().contains(['\n', '\r', '\0']) {
        return Err("the password for sudo holds a line break or a NUL byte, which no prompt can take".to_owned());
    }
    let dialogue = Dialogue { prompt: token(), begun: token(), password: password.clone() };
    // Both are put together there, so that a shell that echoes what it reads does not say them.
    let (left, right) = dialogue.prompt.split_at(16);
    let (first, second) = dialogue.begun.split_at(16);
    let shell = shell(&format!("echo {first}\"\"{second}; "));
    Ok((format!("sudo -k -S -H -p {left}''{right} -u {user} -- {shell}"), Some(dialogue)))
}

/// Sends the request and its header, with what sudo asks for in between; false if sudo did not take the answer, and
/// nothing more is to be sent. What is sent after it must wait for [`Heard::Ready`] if the header asks for the word.
pub(super) async fn send(
    writer: &ChannelWriteHalf<Msg>,
    delivery: Delivery,
    heard: &mut UnboundedReceiver<Heard>,
) -> Result<bool, russh::Error> {
    writer.exec(true, delivery.request).await?;
    if let Some(dialogue) = delivery.dialogue {
        let mut asked = false;
        loop {
            match heard.recv().await {
                Some(Heard::Prompt) if !asked => {
                    asked = true;
                    writer.data_bytes(format!("{}\n", dialogue.password.reveal()).into_bytes()).await?;
                }
                // Asked again: it was wrong. The end of the input is the answer that ends sudo.
                Some(Heard::Prompt) | None => return writer.eof().await.map(|()| false),
                Some(Heard::Begun | Heard::Ready) => break,
            }
        }
    }
    if let Some(header) = delivery.header {
        writer.data_bytes(header).await?;
    }
    Ok(true)
}

/// Listens for a dialogue's signs in what is said before the command's own output.
#[derive(Debug)]
pub(super) struct Ears {
    dialogue: Option<Dialogue>,
    tell: UnboundedSender<Heard>,
    /// The last bytes of both streams, shorter than a sign.
    tails: [Vec<u8>; 2],
    prompts: usize,
    told: usize,
}

impl Ears {
    /// Tells what it hears of a dialogue, if there is to be one.
    pub(super) fn new(dialogue: Option<Dialogue>, tell: UnboundedSender<Heard>) -> Self {
        Self { dialogue, tell, tails: [Vec::new(), Vec::new()], prompts: 0, told: 0 }
    }

    /// Takes a piece of standard output (0) or standard error (1).
    pub(super) fn hear(&mut self, stream: usize, data: &[u8]) {
        let Some(dialogue) = &self.dialogue else { return };
        let (sign, means) =
            if stream == 0 { (&dialogue.begun, Heard::Begun) } else { (&dialogue.prompt, Heard::Prompt) };
        let tail = &mut self.tails[stream];
        tail.extend_from_slice(data);
        while let Some(at) = tail.windows(sign.len()).position(|window| window == sign.as_bytes()) {
            tail.drain(..at + sign.len());
            self.prompts += usize::from(means == Heard::Prompt);
            // Two prompts and a beginning are all there is to a dialogue, whatever a host sends. Nobody listens any
            // more once the command has its input.
            self.told += 1;
            if self.told <= 3 {
                let _ = self.tell.send(means);
            }
        }
        let over = tail.len().saturating_sub(sign.len() - 1);
        tail.drain(..over);
    }

    /// The remote side is ready.
    pub(super) fn ready(&self) {
        let _ = self.tell.send(Heard::Ready);
    }

    /// Whether sudo asked again after it had been given the password.
    pub(super) fn refused(&self) -> bool {
        self.prompts > 1
    }

    /// What was said, without the signs.
    pub(super) fn without_signs(&self, said: &[u8]) -> Vec<u8> {
        let Some(Dialogue { prompt, begun, .. }) = &self.dialogue else { return said.to_vec() };
        let mut rest = said;
        let mut kept = Vec::with_capacity(said.len());
        while let Some((first, more)) = rest.split_first() {
            match [prompt, begun].iter().find_map(|sign| rest.strip_prefix(sign.as_bytes())) {
                Some(behind) => rest = behind,
                None => {
                    kept.push(*first);
                    rest = more;
                }
            }
        }
        kept
    }
}

/// sudo's own words, fit for a message: its last lines.
pub(super) fn words(stderr: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(&stderr[stderr.len().saturating_sub(2000)..]).into_owned();
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = lines[lines.len().saturating_sub(3)..].join("; ");
    (!last.is_empty()).then(|| last.chars().take(MOST_WORDS).map(explain::harmless).collect())
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    fn run_as(user: &str, password: Option<&str>) -> RunAs {
        RunAs { user: user.to_owned(), password: password.map(|text| SecretText::new(text.to_owned())) }
    }

    #[test]
    fn only_names_that_no_shell_reads_anything_into_are_sent() {
        let (request, dialogue) = request(&run_as("web-data.1", None), |_| "SHELL".to_owned()).unwrap();
        assert_eq!(request, "sudo -n -H -u web-data.1 -- SHELL");
        assert!(dialogue.is_none());
        for name in ["", "-x", "a b", "a;b", "$(id)", "#0", "a'b", "ä", "a\nb", &"x".repeat(65)] {
            assert!(super::request(&run_as(name, None), |_| String::new()).is_err(), "{name}");
        }
    }

    #[test]
    fn a_password_is_in_no_request_and_has_no_line_break() {
        let (request, dialogue) = request(&run_as("web", Some("hunter2")), |first| first.to_owned()).unwrap();
        assert!(!request.contains("hunter2") && !format!("{dialogue:?}").contains("hunter2"));
        let dialogue = dialogue.unwrap();
        assert!(!request.contains(&dialogue.prompt) && !request.contains(&dialogue.begun), "a shell may echo it");
        assert!(super::request(&run_as("web", Some("a\nb")), |_| String::new()).is_err());
    }

    #[test]
    fn signs_are_heard_in_whatever_pieces_they_come() {
        let (_, dialogue) = request(&run_as("web", Some("x")), |_| String::new()).unwrap();
        let dialogue = dialogue.unwrap();
        let said = format!("lecture {}Sorry.\n{}", dialogue.prompt, dialogue.prompt);
        for size in 1..said.len() {
            let (tell, mut heard) = mpsc::unbounded_channel();
            let mut ears = Ears::new(Some(dialogue.clone()), tell);
            for piece in said.as_bytes().chunks(size) {
                ears.hear(1, piece);
                ears.hear(0, piece);
            }
            let all: Vec<Heard> = std::iter::from_fn(|| heard.try_recv().ok()).collect();
            assert_eq!(all, [Heard::Prompt, Heard::Prompt], "in pieces of {size}");
            assert!(ears.refused());
            assert_eq!(ears.without_signs(said.as_bytes()), b"lecture Sorry.\n");
        }
    }

    #[test]
    fn words_are_the_last_lines_bounded_and_escaped() {
        let said = b"lecture\n\nweb is not in the sudoers file.\x1b[1m\nThis will be reported.\n";
        let words = words(said).unwrap();
        assert_eq!(words, "lecture; web is not in the sudoers file.\\u{1b}[1m; This will be reported.");
        assert_eq!(super::words(b"\n \n"), None);
        assert!(super::words(&[b'x'; 5000]).unwrap().len() <= MOST_WORDS);
    }
}
