//! The jail's init as a program of its own, for the tests of this crate, whose own binary is not
//! the server. It does nothing else.

fn main() {
    exec::jail::become_init_if_asked();
}
