//! The facade that scenarios read with; they come when there is something to see.
