"""The only room that writes evidence: case folder, custody log, seals, verification. Knows no engine."""
