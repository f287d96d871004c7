// Files that are part of the program, as they stand.

// The pages at /docs and /console: tables of what pages.cpp calls File, each ended by one without a name.
.macro file name, type, path
    .section .data.rel.ro, "aw"
    .dc.a 1f, 2f, 3f, 4f
    .section .rodata
1:  .asciz "\name"
2:  .asciz "text/\type; charset=utf-8"
3:  .incbin "\path"
4:
.endm

.macro file_of_swagger_ui name, type
    file "\name", \type, "viewer/node_modules/swagger-ui-dist/\name"
.endm

    .section .data.rel.ro, "aw"
    .balign 8
    .global docs_files
docs_files:
#ifdef PG_ORG_VIEWER
    file "", html, "viewer/index.html"
    file "page.css", css, "viewer/page.css"
    file "page.js", javascript, "viewer/page.js"
    file_of_swagger_ui "swagger-ui.css", css
    file_of_swagger_ui "swagger-ui-bundle.js", javascript
    file_of_swagger_ui "LICENSE", plain
    file_of_swagger_ui "swagger-ui-bundle.js.LICENSE.txt", plain
#else
    file "", html, "viewer/left_out.html"
#endif
    .section .data.rel.ro, "aw"
    .dc.a 0

    .global console_files
console_files:
#ifdef PG_ORG_CONSOLE
    file "", html, "../console/index.html"
    file "console.js", javascript, "../console/dist/console.js"
    file "console.css", css, "../console/dist/console.css"
    file "LICENSES", plain, "../console/dist/LICENSES"
#else
    file "", html, "../console/left_out.html"
#endif
    .section .data.rel.ro, "aw"
    .dc.a 0

    .section .rodata
    .global openapi_json
openapi_json:
    .incbin "openapi.json"
    .byte 0

    .section .note.GNU-stack, "", %progbits
