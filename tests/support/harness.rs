//! What programs without the usual harness understand of its arguments, so that `cargo test` and `cargo nextest` can list
//! and choose their tests.

/// Arguments of the usual harness; what it does not know is left to the program.
pub(crate) struct Arguments {
    words: Vec<String>,
    exact: bool,
    /// Only the names are asked for.
    pub(crate) list: bool,
    /// Only ignored tests are asked for; none is.
    ignored: bool,
}

impl Arguments {
    pub(crate) fn new(arguments: &[String]) -> Arguments {
        let has = |flag: &str| arguments.iter().any(|a| a == flag);
        let mut words = Vec::new();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            if argument == "--format" {
                rest.next();
            } else if !argument.starts_with('-') {
                words.push(argument.clone());
            }
        }
        Arguments {
            words,
            exact: has("--exact"),
            list: has("--list"),
            ignored: has("--ignored"),
        }
    }

    /// Whether the test of this name is asked for.
    pub(crate) fn wants(&self, name: &str) -> bool {
        let named = |word: &String| {
            if self.exact {
                name == word
            } else {
                name.contains(&**word)
            }
        };
        !self.ignored && (self.words.is_empty() || self.words.iter().any(named))
    }
}
