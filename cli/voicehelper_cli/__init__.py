"""The ``voicehelper`` command: resources, tokens, chat, knowledge and usage.

``main.py`` makes the application and finds the commands of other rooms, ``commands/`` holds one file a group of
commands, each a thin layer over ``resources.py`` (the resource store) and ``client.py`` (the HTTP API behind the
router). ``context.py`` knows where a platform keeps its state. Heavy modules are imported inside the commands, so
that ``--help`` is quick.
"""
