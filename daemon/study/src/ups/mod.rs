//! Tasks that a manager schedules for this box (Unified Procedure Steps, IHE AI Workflow for Imaging): which are taken, how they stand,
//! and what came of them. The box reads what it receives anyway; a task says for whom, fetches its input where that is not here, and ends with
//! references to the results that an archive has taken.

pub mod perform;
pub mod stand;
