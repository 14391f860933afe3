"""Cells in and out: raw counts, genes, conditions, batches, splits and files."""

from scdiffusion.cells._ahead import ReadAhead as ReadAhead
from scdiffusion.cells._ahead import plan_blocks as plan_blocks
from scdiffusion.cells._batches import Batches as Batches
from scdiffusion.cells._batches import Blocks as Blocks
from scdiffusion.cells._checks import check_counts as check_counts
from scdiffusion.cells._conditions import Conditions as Conditions
from scdiffusion.cells._conditions import ConditionTable as ConditionTable
from scdiffusion.cells._conditions import Label as Label
from scdiffusion.cells._conditions import Range as Range
from scdiffusion.cells._genes import MIN_CELLS as MIN_CELLS
from scdiffusion.cells._genes import GeneSelection as GeneSelection
from scdiffusion.cells._genes import select_genes as select_genes
from scdiffusion.cells._joined import GeneChoice as GeneChoice
from scdiffusion.cells._plan import ConditionPlan as ConditionPlan
from scdiffusion.cells._plan import plan_conditions as plan_conditions
from scdiffusion.cells._rows import Source as Source
from scdiffusion.cells._sharding import Sharded as Sharded
from scdiffusion.cells._sharding import shard as shard
from scdiffusion.cells._sources import Cells as Cells
from scdiffusion.cells._sources import open_source as open_source
from scdiffusion.cells._split import Split as Split
from scdiffusion.cells._split import split as split
from scdiffusion.cells._writer import H5adWriter as H5adWriter
from scdiffusion.cells._writer import build_anndata as build_anndata
