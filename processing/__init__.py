"""From one capture to one link report: suppression, map, detection, refinement."""
