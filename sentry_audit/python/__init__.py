"""What a Python program means, without running it: modules, values, settings, reachability."""
