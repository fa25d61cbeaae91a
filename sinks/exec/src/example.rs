//! The example that `rolecall plugin new` writes: a working plugin in one file of Python.

use std::path::Path;

/// A file of the example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExampleFile {
    /// Its name.
    pub name: &'static str,
    /// What is in it.
    pub text: String,
    /// Whether it is a program.
    pub executable: bool,
}

/// The example's files as they are in `directory`, which is an absolute path.
pub fn files(directory: &Path) -> Vec<ExampleFile> {
    let program = directory.join("plugin.py").display().to_string();
    // Text in JSON's quotes is text in YAML too.
    let program = serde_json::Value::from(program).to_string();
    let sink = include_str!("../example/sink.yaml").replace("PROGRAM", &program);
    let text = str::to_owned;
    vec![
        ExampleFile { name: "plugin.py", text: text(include_str!("../example/plugin.py")), executable: true },
        ExampleFile {
            name: "README.md",
            text: text(include_str!("../example/README.md")),
            executable: false,
        },
        ExampleFile { name: "sink.yaml", text: sink, executable: false },
    ]
}
