//! What the public calls promise apart from numbers: sizes and refusals.

use crate::Code;
use crate::kernel::*;

#[test]
fn a_wrong_number_of_bytes_is_refused() {
    for format in Format::ALL {
        let mut out = vec![0.0; 2 * format.block_elements()];
        let blocks = vec![0; 2 * format.block_bytes() + 1];
        for wrong in [&blocks[..0], &blocks[..format.block_bytes()], &blocks] {
            assert_eq!(dequantize_into(format, wrong, &mut out).unwrap_err().code(), Code::InvalidArgument);
        }
        dequantize_into(format, &blocks[..2 * format.block_bytes()], &mut out).unwrap();
    }
}
