// The gateway's own queries, as they stand, each as a string for C.
.macro file name
    .global query_\name
query_\name:
    .incbin "\name\().sql"
    .byte 0
.endm

    .section .rodata
    file catalog_signatures
    file catalog_state
    file confirm
    file primary_position
    file standby_position
    file timeline
    file warm_up

    .section .note.GNU-stack, "", %progbits
