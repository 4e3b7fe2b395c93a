"""The whole platform on one machine: real stores, one supervisor that owns every process, ``voicehelper up``.

``lifecycle.py`` prepares the home folder and starts the supervisor (``supervisor/``), which starts the components
(``components/``, one file each) in the order of what they require; cells join them on the operator's behalf
(``supervisor/workloads.py``). ``demo.py`` then shows the platform's main job. Only this room imports all others.
"""
