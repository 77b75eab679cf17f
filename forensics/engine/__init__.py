"""The only room that talks to a container engine or to the live host. Imports nothing by itself."""
