"""Typed builders of boards, which become classic Grafana JSON: panels, queries, variables, links.

What a builder asks for is what a reader needs: every panel says what it shows, in which unit, and
what to do when it shows nothing.
"""
