"""Which gaps are accepted, why and until when: as written down, beside the code, or in a baseline."""
