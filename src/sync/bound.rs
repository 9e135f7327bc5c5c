//! Bounds of a state file: what its message may ask for in memory, seen before it is decoded.

/// Bytes of the numbers in the totals of all models; each may take eight in memory.
const MAX_NUMBERS: usize = 3 << 19;
/// Lists of numbers, and pairs of them, in the totals of all models.
const MAX_LISTS: usize = 1 << 17;
/// Models, clocks and kinds of loss: none comes near.
const MAX_ENTRIES: usize = 512;
/// Slots of models, and fields that a later version may have.
const MAX_OTHERS: usize = 1 << 14;

/// Fields of `State` and of its parts, as far as they repeat.
const MODELS: u64 = 3;
const CLOCKS: u64 = 5;
const DEVICE: u64 = 6;
const LOSSES: u64 = 3;
const TOTALS: u64 = 10;

/// Whether the message is within what a state may be. Says nothing of whether it is one.
pub(super) fn is_bounded(message: &[u8]) -> bool {
    let (mut numbers, mut lists, mut entries, mut others) = (0usize, 0usize, 0usize, 0usize);
    for (field, content) in Fields(message) {
        match field {
            MODELS => {
                entries += 1;
                for (_, totals) in Fields(content).filter(|(field, _)| *field == TOTALS) {
                    lists += Fields(totals).count();
                    numbers += totals.len();
                }
            }
            CLOCKS => entries += 1,
            DEVICE => entries += Fields(content).filter(|(field, _)| *field == LOSSES).count(),
            _ => others += 1,
        }
    }
    numbers <= MAX_NUMBERS && lists <= MAX_LISTS && entries <= MAX_ENTRIES && others <= MAX_OTHERS
}

/// The fields of a protobuf message: number and content. Ends where the bytes are none.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = (u64, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let key = self.number()?;
        let len = match key & 7 {
            0 => return self.number().map(|_| (key >> 3, &[][..])),
            1 => 8,
            2 => usize::try_from(self.number()?).ok()?,
            5 => 4,
            _ => return None,
        };
        let (content, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some((key >> 3, content))
    }
}

impl Fields<'_> {
    fn number(&mut self) -> Option<u64> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}
