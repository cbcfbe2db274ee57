"""The local viewer: the committed boards in a browser on this machine, without Grafana.

What a browser may ask for is what stands in the boards: it names a board, a panel and a query, and
the server puts in range and variables and asks ClickHouse as an account that only reads.
"""
