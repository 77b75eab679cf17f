"""One frozen document out of a case, and the renderers that only read it. Never asks an engine, never reads a clock."""
