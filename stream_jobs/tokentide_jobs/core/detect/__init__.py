"""Which closed windows are unlike what their key and metric have been, and how sure that is."""
