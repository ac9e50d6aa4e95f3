"""A verdict as text, JSON, JUnit, Markdown and HTML; formats, never computes."""
