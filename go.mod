module github.com/awaitd/awaitd

go 1.26
