"""What people changed (deploys, prompts, models, prices), and what of it may explain a finding."""
