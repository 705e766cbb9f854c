"""Reports of recordings: what an XDF file proves about the streams of a board, and sync pulses.

Nothing here needs LSL or a session. Only `xdf_reader` and `xdf_chunks` read files, and only
`html_report` and `report_figures` write them.
"""
