"""The live page: signals, state and clock of a module in the browser, and plots of scripts."""
