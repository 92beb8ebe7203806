"""What :3000 answers: the built UI's files, the project's own pages, and the same API under `/api`.

`python -m pulpo.runtime.page --root . --port 3000 --api http://127.0.0.1:8000`. `files` holds the build (`dist/`, made
from `ui/` by the package build), `app` puts the parts together, `proxy` hands the API's requests on.
"""
