//! The configuration: one YAML file, layered with the environment, checked before anything starts.
