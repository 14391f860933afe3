"""Read cells, check raw counts, encode conditions and write generated cells.

`open_source` opens AnnData objects, ``.h5ad`` files, zarr stores and shards; a `Source` gives rows of raw counts in any
order. `collect_statistics` checks the counts and chooses genes in one pass. `Conditions` turns columns of `obs` into
numbers and back, and `plan_conditions` decides the conditions of cells to generate. `Batches` and `Prefetch` order and
read the cells of training steps; `shard` rewrites large data for that. `H5adWriter` writes cells to disk. A new kind of
file is one class with the methods of `Source` and one line in `open_source`.
"""

from scdiffuse.cells._batches import Batches as Batches
from scdiffuse.cells._batches import Blocks as Blocks
from scdiffuse.cells._checks import check_counts as check_counts
from scdiffuse.cells._checks import require_counts as require_counts
from scdiffuse.cells._condition_table import ConditionTable as ConditionTable
from scdiffuse.cells._conditions import ConditionRange as ConditionRange
from scdiffuse.cells._conditions import Conditions as Conditions
from scdiffuse.cells._conditions import Label as Label
from scdiffuse.cells._conditions import require_column_name as require_column_name
from scdiffuse.cells._embedding import SourceWithEmbedding as SourceWithEmbedding
from scdiffuse.cells._find import CountsPlace as CountsPlace
from scdiffuse.cells._find import find_counts as find_counts
from scdiffuse.cells._find import list_counts as list_counts
from scdiffuse.cells._gene_names import find_gene as find_gene
from scdiffuse.cells._gene_names import match_genes as match_genes
from scdiffuse.cells._gene_names import require_shared as require_shared
from scdiffuse.cells._genes import MIN_CELLS as MIN_CELLS
from scdiffuse.cells._genes import GeneSelection as GeneSelection
from scdiffuse.cells._joined import GeneChoice as GeneChoice
from scdiffuse.cells._joined import JoinedSource as JoinedSource
from scdiffuse.cells._labels import mask_labels as mask_labels
from scdiffuse.cells._origin import DataOrigin as DataOrigin
from scdiffuse.cells._origin import describe_origin as describe_origin
from scdiffuse.cells._origin import read_origin as read_origin
from scdiffuse.cells._plan import ConditionPlan as ConditionPlan
from scdiffuse.cells._plan import plan_conditions as plan_conditions
from scdiffuse.cells._prefetch import Prefetch as Prefetch
from scdiffuse.cells._prefetch import plan_blocks as plan_blocks
from scdiffuse.cells._read import add_labels as add_labels
from scdiffuse.cells._read import label_obs as label_obs
from scdiffuse.cells._read import read_cells as read_cells
from scdiffuse.cells._rows import Source as Source
from scdiffuse.cells._rows import WrappedSource as WrappedSource
from scdiffuse.cells._sharding import Sharded as Sharded
from scdiffuse.cells._sharding import shard as shard
from scdiffuse.cells._shards import damaged_shards as damaged_shards
from scdiffuse.cells._shards import is_shards as is_shards
from scdiffuse.cells._sources import RAW as RAW
from scdiffuse.cells._sources import CellData as CellData
from scdiffuse.cells._sources import open_source as open_source
from scdiffuse.cells._sources import require_cells as require_cells
from scdiffuse.cells._split import Split as Split
from scdiffuse.cells._split import split as split
from scdiffuse.cells._statistics import CountStatistics as CountStatistics
from scdiffuse.cells._statistics import collect_statistics as collect_statistics
from scdiffuse.cells._structure import reading as reading
from scdiffuse.cells._structure import require_whole as require_whole
from scdiffuse.cells._tables import read_labels as read_labels
from scdiffuse.cells._writer import H5adWriter as H5adWriter
from scdiffuse.cells._writer import build_anndata as build_anndata
