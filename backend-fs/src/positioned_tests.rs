//! The loops against systems that read and write short, are interrupted, or do nothing.

use super::*;

/// A system that serves `file` in the given steps: `Ok(n)` moves at most n bytes.
fn reader<'a>(file: &'a [u8], steps: Vec<Result<usize>>) -> impl FnMut(u64, &mut [u8]) -> Result<usize> + 'a {
    let mut steps = steps.into_iter();
    move |at, rest| {
        let there = file.get(usize::try_from(at).unwrap()..).unwrap_or(&[]);
        let count = steps.next().unwrap_or(Ok(usize::MAX))?.min(rest.len()).min(there.len());
        rest[..count].copy_from_slice(&there[..count]);
        Ok(count)
    }
}

fn interrupted() -> Result<usize> {
    Err(ErrorKind::Interrupted.into())
}

#[test]
fn short_and_interrupted_reads_are_continued() {
    let mut buffer = [0; 6];
    let steps = vec![Ok(1), interrupted(), Ok(2), interrupted(), Ok(9)];
    assert_eq!(read_whole(1, &mut buffer, reader(b"abcdefgh", steps), || Ok(8)).unwrap(), 6);
    assert_eq!(&buffer, b"bcdefg");
}

#[test]
fn the_end_of_the_file_is_a_short_count() {
    let mut buffer = [0; 6];
    assert_eq!(read_whole(5, &mut buffer, reader(b"abcdefgh", vec![]), || Ok(8)).unwrap(), 3);
    assert_eq!(read_whole(8, &mut buffer, reader(b"abcdefgh", vec![]), || Ok(8)).unwrap(), 0);
    assert_eq!(read_whole(u64::MAX, &mut buffer, |_, _| Ok(0), || Ok(8)).unwrap(), 0);
}

#[test]
fn an_empty_read_inside_the_file_is_an_error_and_not_its_end() {
    let mut buffer = [0; 6];
    let error = read_whole(0, &mut buffer, reader(b"abcdefgh", vec![Ok(3), Ok(0), Ok(0)]), || Ok(8)).unwrap_err();
    assert_eq!(error.to_string(), "the system read 0 bytes at offset 3 of a file of 8 bytes");
}

#[test]
fn one_empty_read_may_be_a_file_that_was_growing() {
    let mut buffer = [0; 6];
    assert_eq!(read_whole(0, &mut buffer, reader(b"abcdefgh", vec![Ok(3), Ok(0)]), || Ok(8)).unwrap(), 6);
    assert_eq!(&buffer, b"abcdef");
}

#[test]
fn a_failing_read_is_reported() {
    let failing = |_: u64, _: &mut [u8]| -> Result<usize> { Err(Error::other("bad sector")) };
    assert_eq!(read_whole(0, &mut [0], failing, || Ok(8)).unwrap_err().to_string(), "bad sector");
}

#[test]
fn short_and_interrupted_writes_are_continued() {
    let mut file = vec![b'.'; 8];
    let mut steps = vec![Ok(1), interrupted(), Ok(2), interrupted()].into_iter();
    write_whole(1, b"ABCDEF", |at, rest| {
        let count = steps.next().unwrap_or(Ok(usize::MAX))?.min(rest.len());
        let at = usize::try_from(at).unwrap();
        file[at..at + count].copy_from_slice(&rest[..count]);
        Ok(count)
    })
    .unwrap();
    assert_eq!(file, b".ABCDEF.");
}

#[test]
fn a_write_that_moves_nothing_is_an_error_and_not_an_endless_loop() {
    let error = write_whole(0, b"abc", |_, _| Ok(0)).unwrap_err();
    assert_eq!(error.to_string(), "the system wrote 0 of 3 bytes");
}

#[test]
fn an_empty_write_does_not_reach_the_system() {
    write_whole(0, b"", |_, _| -> Result<usize> { Err(Error::other("called")) }).unwrap();
}

#[test]
fn an_offset_that_overflows_is_an_error() {
    let error = write_whole(u64::MAX, b"abc", |_, _| Ok(1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}
