"""What a request asks for, from its URL, headers, form and body."""
