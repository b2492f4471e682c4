"""Text formats that every room uses: strict JSON and YAML, durations, numbers, redaction."""
