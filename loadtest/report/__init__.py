"""A verdict as text, JSON, JUnit, Markdown and HTML: formats, no computing. May import judge and below."""
