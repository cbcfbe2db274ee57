"""Made-up traffic of LLM services, clean or with declared faults, from a seed."""
