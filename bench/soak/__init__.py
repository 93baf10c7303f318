"""Jobs for minutes on end while processes are killed: is anything lost or doubled, and how fast is it."""
