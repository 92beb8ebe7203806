"""What :3000 answers until the UI is drawn: a plain page of what is there, and the same API under `/api`.

`python -m pulpo.runtime.page --root . --port 3000 --api http://127.0.0.1:8000`. The page asks the API when it is asked
itself and keeps nothing. A drawn UI takes the place of the pages in `views`; `proxy` and `app` stay as they are.
"""
