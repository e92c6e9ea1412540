//! `include/ottla.h` is what cbindgen makes of `src/ffi`; and `tests/abi/symbols.txt` lists its functions, so that no change
//! of the ABI goes unnoticed. `OTTLA_UPDATE=1 cargo test --test header` writes both again.
//!
//! cbindgen puts all types before all functions, so the header is generated per file of `src/ffi`, in reading order, and
//! joined here. Each file's `//!` text opens its section; opaque handles are declared at the top, because sections refer to
//! each other's.

// A test ends with the first thing that is not as it should be.
#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use cbindgen::{Builder, Config, DocumentationStyle, Language, Style};
use ottla::ErrorCode;

/// The files that have something for C, in reading order.
const SECTIONS: [&str; 21] = [
    "basics",
    "error",
    "config",
    "log",
    "producer",
    "producer_setup",
    "transaction",
    "completion",
    "consumer",
    "batch",
    "event",
    "group",
    "assignor",
    "share",
    "stats",
    "admin",
    "admin_results",
    "answer",
    "submit_producer",
    "submit",
    "broker",
];

const OPENING: &str = r#"
#ifndef OTTLA_H
#define OTTLA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The compiler warns if a status is ignored.
#if defined(__cplusplus) && __cplusplus >= 201703L
#define OTTLA_MUST_USE [[nodiscard]]
#elif defined(__GNUC__)
#define OTTLA_MUST_USE __attribute__((warn_unused_result))
#else
#define OTTLA_MUST_USE
#endif

#ifdef __cplusplus
extern "C" {
#endif
"#;

const CLOSING: &str = r#"
#ifdef __cplusplus
}
#endif

#endif // OTTLA_H
"#;

/// A hundred lines that few read: at the end.
const KAFKA_CODES: &str = "// Kafka's error codes, as on the wire\n";

const BAR: &str = "// ==================================================================================================================";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn source(section: &str) -> String {
    std::fs::read_to_string(root().join(format!("src/ffi/{section}.rs"))).unwrap()
}

/// The `//!` text of a file as a comment; code between fences is indented.
fn introduction(section: &str) -> String {
    let mut out = String::new();
    let mut code = false;
    for line in source(section)
        .lines()
        .take_while(|line| line.starts_with("//!"))
    {
        let line = line.trim_start_matches("//!");
        let line = line.strip_prefix(' ').unwrap_or(line);
        if line.starts_with("```") {
            code = !code;
            continue;
        }
        let margin = if code { "//     " } else { "// " };
        let line = format!("{margin}{}", line.replace('`', ""));
        out += line.trim_end();
        out.push('\n');
    }
    out
}

/// What cbindgen makes of one file, in blocks.
fn blocks(section: &str) -> Vec<String> {
    let mut config = Config {
        language: Language::C,
        style: Style::Both,
        no_includes: true,
        documentation_style: DocumentationStyle::C99,
        line_length: 110,
        tab_width: 4,
        ..Config::default()
    };
    config.function.must_use = Some("OTTLA_MUST_USE".to_owned());
    let source = source(section);
    let name = |line: &str| {
        let rest = line
            .strip_prefix("pub struct ")
            .or_else(|| line.strip_prefix("pub type "))?;
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_')?;
        Some(rest[..end].to_owned())
    };
    // Otherwise types that only other files' functions take would be left out.
    config.export.include = source.lines().filter_map(name).collect();
    let bindings = Builder::new()
        .with_config(config)
        .with_src(root().join(format!("src/ffi/{section}.rs")))
        .generate()
        .unwrap();
    let mut out = Vec::new();
    bindings.write(&mut out);
    // `struct` is only needed where a type is made; cbindgen writes it wherever it knows that it is one.
    let out = String::from_utf8(out)
        .unwrap()
        .replace('`', "")
        .replace("struct ottla_", "ottla_")
        .replace("typedef ottla_", "typedef struct ottla_");
    out.split("\n\n")
        .map(|block| block.trim().to_owned())
        .filter(|block| !block.is_empty())
        .collect()
}

/// Ottla's own error codes, or Kafka's. A macro makes them, so that cbindgen can't see them.
fn error_codes(kafka: bool) -> String {
    let mut out = String::new();
    let wanted = |code: ErrorCode| code.0 != 0 && (code.0 > -100) == kafka;
    for (code, name, meaning) in ErrorCode::ALL.iter().filter(|(code, ..)| wanted(*code)) {
        let _ = writeln!(out, "// {}", meaning.replace('`', ""));
        let _ = if code.0 < 0 {
            writeln!(out, "#define OTTLA_ERR_{name} ({})", code.0)
        } else {
            writeln!(out, "#define OTTLA_ERR_{name} {}", code.0)
        };
    }
    out
}

fn header() -> String {
    let is_handle = |block: &String| {
        let last = block.lines().last().unwrap_or_default();
        last.starts_with("typedef struct ") && last.ends_with(';')
    };
    let mut handles = String::new();
    let mut body = String::new();
    for section in SECTIONS {
        let _ = write!(body, "\n{BAR}\n{}{BAR}\n", introduction(section));
        if section == "error" {
            let _ = write!(body, "\n{}", error_codes(false));
        }
        for block in blocks(section) {
            let to = if is_handle(&block) {
                &mut handles
            } else {
                &mut body
            };
            let _ = write!(to, "\n{block}\n");
        }
    }
    format!(
        "{}{OPENING}\n{BAR}\n// Handles: opaque types\n{BAR}\n{handles}{body}\n{BAR}\n{KAFKA_CODES}{BAR}\n\n{}{CLOSING}",
        introduction("mod"),
        error_codes(true)
    )
}

/// Everything a program compiled against the header depends on, a line each: constants, types, functions.
fn abi(header: &str) -> Vec<String> {
    let code: Vec<&str> = header
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default().trim())
        .filter(|line| !line.is_empty() && *line != "OTTLA_MUST_USE")
        .collect();
    let mut lines: Vec<String> = code
        .iter()
        .filter_map(|line| line.strip_prefix("#define OTTLA_"))
        .filter(|rest| rest.contains(' ') && !rest.starts_with("MUST_USE"))
        .map(|rest| format!("#define OTTLA_{rest}"))
        .collect();
    let joined = code
        .iter()
        .filter(|line| !line.starts_with('#') && !line.starts_with("extern \"C\""))
        .copied()
        .collect::<Vec<_>>()
        .join(" ");
    let mut depth = 0;
    let mut declaration = String::new();
    for c in joined.chars() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        declaration.push(c);
        if c == ';' && depth == 0 {
            lines.push(
                declaration
                    .trim()
                    .trim_start_matches("OTTLA_MUST_USE ")
                    .to_owned(),
            );
            declaration.clear();
        }
    }
    lines.sort();
    lines
}

/// The functions of a list of declarations.
fn functions(abi: &[String]) -> Vec<&str> {
    let name = |line: &'_ String| -> Option<std::ops::Range<usize>> {
        let end = line
            .find('(')
            .filter(|_| !line.starts_with('#') && !line.starts_with("typedef"))?;
        let start = line[..end].rfind([' ', '*'])? + 1;
        Some(start..end)
    };
    abi.iter()
        .filter_map(|line| name(line).map(|range| &line[range]))
        .collect()
}

/// The file is as it should be, or is made so if OTTLA_UPDATE asks for it.
fn compare(path: &str, wanted: &str, advice: &str) {
    let file = root().join(path);
    if std::env::var_os("OTTLA_UPDATE").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        return std::fs::write(file, wanted).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    let differs = found.lines().zip(wanted.lines()).position(|(a, b)| a != b);
    let line = differs.unwrap_or(found.lines().count().min(wanted.lines().count()));
    assert!(
        found == wanted,
        "{path} differs from what src/ffi makes, first in line {}:\n  there {:?}\n  now   {:?}\n{advice}",
        line + 1,
        found.lines().nth(line),
        wanted.lines().nth(line)
    );
}

#[test]
fn the_header_is_fresh() {
    compare(
        "include/ottla.h",
        &header(),
        "write it again: OTTLA_UPDATE=1 cargo test --test header",
    );
}

#[test]
fn every_change_of_the_abi_is_noticed() {
    let lines = abi(&header()).join("\n") + "\n";
    compare(
        "tests/abi/symbols.txt",
        &lines,
        "the ABI has changed: note it in CHANGELOG.md, count OTTLA_ABI_VERSION up if compiled programs break, then: \
         OTTLA_UPDATE=1 cargo test --test header",
    );
}

#[test]
fn every_exported_function_is_declared_and_names_itself_in_its_errors() {
    let declarations = abi(&header());
    let declared = functions(&declarations);
    let mut exported = Vec::new();
    for section in SECTIONS {
        let source = source(section);
        for part in source.split("extern \"C\" fn ").skip(1) {
            let name = part.split('(').next().unwrap();
            let body = part.split("\n}\n").next().unwrap();
            assert!(declared.contains(&name), "{name} is not in the header");
            if body.contains("guard::on(") || body.contains("guard::run(") {
                assert!(
                    body.contains(&format!("\"{name}\"")),
                    "{name} passes another name to its guard"
                );
            }
            exported.push(name.to_owned());
        }
    }
    assert!(
        exported.len() > 100,
        "only {} functions were found",
        exported.len()
    );
    assert_eq!(exported.len(), declared.len());
    assert!(declared.iter().all(|name| name.starts_with("ottla_")));
}

#[test]
fn compiles_without_a_warning_as_c_and_as_cpp() {
    let flags = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"];
    let header = header();
    for (compiler, language, standards) in [
        ("cc", "c", &["c99", "c11", "c17"][..]),
        ("c++", "c++", &["c++17", "c++20"]),
    ] {
        for standard in standards {
            let mut child = Command::new(compiler)
                .args(flags)
                .args([&format!("-std={standard}"), "-x", language, "-"])
                .stdin(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap_or_else(|e| panic!("{compiler} can't be run: {e}"));
            child
                .stdin
                .take()
                .unwrap()
                .write_all(header.as_bytes())
                .unwrap();
            let output = child.wait_with_output().unwrap();
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(
                output.status.success(),
                "{compiler} -std={standard}:\n{errors}"
            );
        }
    }
}
