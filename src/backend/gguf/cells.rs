//! Which cells of the context are in use, and by how many sequences.
//!
//! llama.cpp keeps the same books, and does not show them. A cell holds one token of one or more sequences; what is
//! counted here is what it counts, so a batch is only computed if there is room for it.

/// The cell of one token.
pub(super) type Cell = u32;

#[derive(Debug)]
pub(super) struct Cells {
    /// How many sequences use each cell.
    users: Vec<u16>,
    free: Vec<Cell>,
}

impl Cells {
    pub(super) fn new(capacity: u32) -> Self {
        Self { users: vec![0; capacity as usize], free: (0..capacity).rev().collect() }
    }

    pub(super) fn capacity(&self) -> usize {
        self.users.len()
    }

    pub(super) fn free(&self) -> usize {
        self.free.len()
    }

    /// Adds `count` cells to a sequence; false, and nothing done, if there are not so many.
    pub(super) fn take(&mut self, count: usize, sequence: &mut Vec<Cell>) -> bool {
        let Some(rest) = self.free.len().checked_sub(count) else { return false };
        for cell in self.free.drain(rest..) {
            self.users[cell as usize] = 1;
            sequence.push(cell);
        }
        true
    }

    /// The cells of another sequence's beginning, now used by one more.
    pub(super) fn share(&mut self, cells: &[Cell]) -> Vec<Cell> {
        for &cell in cells {
            self.users[cell as usize] += 1;
        }
        cells.to_vec()
    }

    /// Ends a sequence's use of cells.
    pub(super) fn release(&mut self, cells: impl IntoIterator<Item = Cell>) {
        for cell in cells {
            let users = &mut self.users[cell as usize];
            *users -= 1;
            if *users == 0 {
                self.free.push(cell);
            }
        }
    }

    /// How many different cells some sequences use together.
    pub(super) fn distinct<'a>(&self, sequences: impl Iterator<Item = &'a [Cell]>) -> usize {
        let mut seen = vec![false; self.users.len()];
        sequences.flatten().filter(|&&cell| !std::mem::replace(&mut seen[cell as usize], true)).count()
    }
}
