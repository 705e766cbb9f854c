"""``record``: streams, and records into XDF with LabRecorder; proves what is in the file."""
