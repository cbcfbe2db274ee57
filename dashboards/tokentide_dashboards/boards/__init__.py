"""The boards, a module each, and the list of them."""
