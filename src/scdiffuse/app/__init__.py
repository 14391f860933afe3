"""The app: a page in the browser that generates cells beside real ones.

1. `serve` binds the server, which reads no file outside of the folders named at the start (`_folders`, `_trust`).
2. A `Session` holds cells, models and jobs (`_session`); routes translate between JSON and its methods (`_routes`).
3. Fits run as processes of the command line, all else in threads; what they make outlives the server (`_jobs`).
4. Real and generated cells share one map (`_maps`); tables compare selections of them (`_tables`).
5. Every action is written down as the line of Python and of the command line that does the same (`_lines`).
"""

from scdiffuse.app._serve import Address as Address
from scdiffuse.app._serve import serve as serve
