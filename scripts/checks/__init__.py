"""What `fruits doctor` looks at, one thing at a time; nothing here writes to the tables, the state or the landing zone.

check.py    what a check answers, and how one that fails hides none of the others
machine.py  Python, Java, jars, TensorFlow, LiteRT, the model, memory, disk
store.py    credentials, the bucket, the clock, the region
rights.py   what the role may do, one right at a time, on objects of the doctor's own
queue.py    the same for the queue
trial.py    a few photographs from end to end, in a scratch prefix; trial_run.py is the process that does it
"""
