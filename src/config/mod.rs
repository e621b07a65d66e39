//! Files in, validated specs or every problem at once out.
