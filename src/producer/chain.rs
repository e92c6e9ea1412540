//! Sealed batches in a row, each holding the next: the row itself is a pointer, so that partitions with nothing under way,
//! which may be thousands, take no room for it, and a batch that joins or leaves allocates nothing. Rows are short: no
//! more batches than may be on their way at once, and the parts of those that were split.

use super::partition::Batch;

#[derive(Default)]
pub(crate) struct Chain {
    first: Option<Box<Batch>>,
}

impl Chain {
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(crate) fn len(&self) -> usize {
        self.iter().count()
    }

    pub(crate) fn first(&self) -> Option<&Batch> {
        self.first.as_deref()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Batch> {
        std::iter::successors(self.first(), |batch| batch.next.as_deref())
    }

    pub(crate) fn for_each_mut(&mut self, mut f: impl FnMut(&mut Batch)) {
        let mut next = &mut self.first;
        while let Some(batch) = next {
            f(batch);
            next = &mut batch.next;
        }
    }

    /// The link to the first batch that is `wanted`, or behind the last one.
    fn link(&mut self, wanted: impl Fn(&Batch) -> bool) -> &mut Option<Box<Batch>> {
        let mut link = &mut self.first;
        while link.as_ref().is_some_and(|batch| !wanted(batch)) {
            match link {
                Some(batch) => link = &mut batch.next,
                None => break,
            }
        }
        link
    }

    /// Puts a batch before the first that is `behind` it, or at the end.
    pub(crate) fn insert_before(&mut self, mut batch: Box<Batch>, behind: impl Fn(&Batch) -> bool) {
        let link = self.link(behind);
        batch.next = link.take();
        *link = Some(batch);
    }

    pub(crate) fn push(&mut self, batch: Box<Batch>) {
        self.insert_before(batch, |_| false);
    }

    /// Takes out the first batch that is `wanted`.
    pub(crate) fn take(&mut self, wanted: impl Fn(&Batch) -> bool) -> Option<Box<Batch>> {
        let link = self.link(wanted);
        let mut batch = link.take()?;
        *link = batch.next.take();
        Some(batch)
    }

    pub(crate) fn pop(&mut self) -> Option<Box<Batch>> {
        self.take(|_| true)
    }

    /// Takes out all batches that are `wanted`, in order.
    #[expect(clippy::vec_box, reason = "batches travel boxed")]
    pub(crate) fn take_all(&mut self, wanted: impl Fn(&Batch) -> bool) -> Vec<Box<Batch>> {
        std::iter::from_fn(|| self.take(&wanted)).collect()
    }

    /// Takes out all batches, in order.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Box<Batch>> {
        std::iter::from_fn(|| self.pop())
    }
}

// One after the other: the compiler's own would go a call deeper with each.
impl Drop for Chain {
    fn drop(&mut self) {
        self.drain().for_each(drop);
    }
}
